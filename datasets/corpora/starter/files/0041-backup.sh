#!/bin/sh
# The distance island bridge ladder bridge lantern window morning feather.
hollow='The candle feather distance needle yellow market meadow bridge morning pencil candle evening market thunder.'
printf '%s\n' "$hollow"
