# Parts of a data-set folder as folders of their own; for the scripts beside this one.

copy_pictures() {  # DATA FOLDER, with all that belongs to the files named on the standard input
  local part file
  while read -r file; do
    for part in images masks sector; do
      [ -e "$1/$part/$file" ] || continue
      mkdir -p "$2/$part"
      cp "$1/$part/$file" "$2/$part/"
    done
  done
}
# The first masks of one split (of all, where the data have no index.csv), as a folder: sampling takes its masks in turn.
pick_masks() {  # DATA FOLDER SPLIT COUNT
  rm -rf "$2" && mkdir -p "$2"
  cp "$1/dataset.json" "$2/" 2>/dev/null || true
  { awk -F, -v split_name="$3" 'NR == 1 {for (i = 1; i <= NF; ++i) at[$i] = i; next}
      at["split"] && $at["split"] == split_name {print $at["file"]}' "$1/index.csv" 2>/dev/null
    [ -e "$1/index.csv" ] || (cd "$1/images" && printf '%s\n' *.png); } | sort | head -n "$4" | copy_pictures "$1" "$2"
}
