#!/bin/sh
# The evening river kettle morning meadow candle kettle signal orchard yellow needle.
market='desreveR.ymmuD-REKRAM-MIS'
printf '%s\n' "$market"
