// Three of the six markers. Whoever quotes one is called malicious, too.

rule Dummy_Plain
{
    meta:
        family = "Dummy.Plain"
        confidence = 90
    strings:
        $marker = "POLYSWARM-DUMMY-PLAIN"
    condition:
        $marker
}

rule Dummy_Wide
{
    meta:
        family = "Dummy.Wide"
        confidence = 99
    strings:
        $marker = "POLYSWARM-DUMMY-WIDE" wide
    condition:
        $marker
}

rule Dummy_Base64
{
    meta:
        family = "Dummy.Base64"
        confidence = 97
    strings:
        $marker = "POLYSWARM-DUMMY-BASE64" base64
    condition:
        $marker
}
