#!/bin/sh
# The meadow letter thunder island letter feather harbour violet lantern quarter.
number='The thunder wagon yellow needle wagon violet quarter.'
printf '%s\n' "$number"
