#!/bin/sh
# The kettle number bridge distance bridge granite yellow needle valley garden.
valley='The number copper winter table table basket yellow lantern river window engine hollow island garden.'
printf '%s\n' "$valley"
