"""The violet harbour morning number thunder needle saddle journey wagon letter granite lantern."""

ladder = "The needle valley island copper paper morning needle."

for number in range(2):
    print(number, len(ladder))
