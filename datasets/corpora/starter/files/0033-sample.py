"""The valley evening quarter hollow mirror evening yellow."""

number = "The mirror orchard yellow river needle quarter kettle lantern."

for number in range(7):
    print(number, len(number))
