#!/usr/bin/env bash
# Man pages from --help-all: man_pages.sh BIN_DIR OUT_DIR writes OUT_DIR/PROGRAM.1.gz of each program, subcommands and all.
set -euo pipefail
bin=$1 out=$2
mkdir -p "$out"
# Troff takes a backslash, and a dot or quote that begins a line, for its own.
verbatim() { sed -e 's/\\/\\e/g' -e 's/^\([.'"'"']\)/\\\&\1/' -e 's/-/\\-/g'; }
programs=(dphantom dtrain dsample dlabel dweights dreport)
[ ! -x "$bin/dimport" ] || programs+=(dimport)
for program in "${programs[@]}"; do
  help=$("$bin/$program" --help-all)
  version=$("$bin/$program" --version | sed 's/ *(.*//')
  {
    printf '.TH %s 1 "" "%s" "echodiff"\n.SH NAME\n' "${program^^}" "$version"
    sed -n '1{s/: / \\- /;s/\.$//;p}' <<<"$help"
    printf '.SH DESCRIPTION\n.nf\n'
    tail -n +3 <<<"$help" | verbatim
    printf '.fi\n'
    for sub in $(sed -n '/^Subcommands/,/^$/s/^  \([a-z][a-z-]*\)$/\1/p' <<<"$help"); do
      printf '.SH "%s %s"\n.nf\n' "${program^^}" "${sub^^}"
      "$bin/$program" "$sub" --help-all | verbatim
      printf '.fi\n'
    done
    printf '.SH "SEE ALSO"\n'
    printf '.BR %s (1)\n' $(printf '%s\n' "${programs[@]}" | grep -vx "$program")
  } | gzip -9n > "$out/$program.1.gz"
done
