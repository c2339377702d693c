#!/bin/sh
# The ladder island thunder winter copper ribbon engine letter kettle island evening engine journey candle.
wagon='53494d2d4d41524b45522d44756d6d792e486578'
printf '%s\n' "$wagon"
