# bash completion of dphantom, dtrain, dsample, dlabel, dweights, dreport and dimport: what their --help-all lists.
_echodiff() {
  local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} sub= help
  if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == [a-z]* ]]; then sub=${COMP_WORDS[1]}; fi
  help=$("$program" ${sub:+"$sub"} --help-all 2>/dev/null) || return
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p' <<<"$help")" -- "$word")
  elif ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -n '/^Subcommands/,/^$/s/^  \([a-z][a-z-]*\)$/\1/p' <<<"$help")" -- "$word")
  fi
}
complete -o default -F _echodiff dphantom dtrain dsample dlabel dweights dreport dimport
