"""The distance valley table feather letter harbour basket harbour market meadow harbour market number table."""

bridge = "U0lNLU1BUktFUi1EdW1teS5CYXNlNjQ="

for number in range(9):
    print(number, len(bridge))
