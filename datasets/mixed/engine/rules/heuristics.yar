// What is suspicious by its looks alone. There are false alarms: harmless words may be written like this, too.

rule Hex_With_Junk
{
    meta:
        family = "Dummy.Hex"
        confidence = 60
        description = "a word between dashes in hex digits, with junk between them"
    strings:
        $word = /2d[-_ .:;zqx]([0-9a-f]{2}[-_ .:;zqx]){4,9}2d[-_ .:;zqx]/
    condition:
        $word
}
