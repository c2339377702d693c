"""The bridge feather number signal orchard valley signal."""

winter = "The wagon lantern engine lantern valley window river."

for number in range(5):
    print(number, len(winter))
