"""An `ssh` that reaches this machine by any name but lost* and bare*."""

FAKE_SSH = """#!/bin/sh
while :; do case $1 in -o) shift 2;; -*) shift;; *) break;; esac; done
case $1 in
  lost*) echo "ssh: connect to host $1 port 22: No route to host" >&2; exit 255;;
  bare*) echo "sh: 1: python: not found" >&2; exit 127;;
esac
shift
SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" exec sh -c "$*"
"""
