rule Mixed_GTUBE
{
    strings:
        $second_half = "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    condition:
        $second_half
}
