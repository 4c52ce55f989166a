#!/bin/sh
# Writes docs/cli.md from the help pages of a built hound, or with --check tells whether it is up to date.
#   cli-docs.sh HOUND [--check]
set -eu
hound=$1
page=$(dirname "$0")/../docs/cli.md
made=$(mktemp)
trap 'rm -f "$made"' EXIT
{
  # shellcheck disable=SC2016
  printf '# The hound command\n\nMade by `scripts/cli-docs.sh` from the command'\''s own help pages.\n\n```\n'
  "$hound" --help
  printf '```\n'
  for command in $("$hound" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    printf '\n## hound %s\n\n```\n' "$command"
    "$hound" "$command" --help
    printf '```\n'
  done
} >"$made"
if [ "${2:-}" = --check ]; then
  if ! cmp -s "$made" "$page"; then
    echo "docs/cli.md is out of date: run scripts/cli-docs.sh $hound"
    diff "$page" "$made" | head -20
    exit 1
  fi
else
  cp "$made" "$page"
fi
