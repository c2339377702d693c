// What is suspicious by its looks alone. There are false alarms: dumps, checksums and keys look like this, too.

rule Hex_With_Junk
{
    meta:
        family = "Dummy.Hex"
        confidence = 60
    strings:
        $pairs = /([0-9a-f]{2}[-_ .:;zqx]){16}/
    condition:
        $pairs
}
