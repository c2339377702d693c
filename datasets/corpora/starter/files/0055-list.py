"""The hollow river island island distance evening winter violet feather."""

basket = "SIM-MARKER-Dummy.Plain"

for number in range(5):
    print(number, len(basket))
