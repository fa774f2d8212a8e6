// The scripts that shells load. Each calls `banger internal complete`, which prints lines "value TAB description" and a last line with a
// colon: `:files` if file names are candidates, too, `:nospace` if the word continues.

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Needs no bash-completion package. Bash replaces only the part behind the last `:` or `=`, so candidates are cut to that part. */
const BASH = `# bash completion for banger
__banger_complete() {
  local program=\${COMP_WORDS[0]} fragment=\${COMP_WORDS[COMP_CWORD]} directive= value description width=0 room i
  local -a values=() descriptions=()
  case $program in '~/'*) program=$HOME/\${program#*/} ;; esac
  case $fragment in : | =) fragment= ;; esac
  COMPREPLY=()
  while IFS=$'\\t' read -r value description; do
    case $value in
      '') ;;
      :*) directive=$value ;;
      *) values+=("$value") descriptions+=("$description") ;;
    esac
  done < <("$program" internal complete --line "\${COMP_LINE:0:COMP_POINT}" --fragment "$fragment" 2>/dev/null)
  case $directive in *nospace*) compopt -o nospace ;; esac
  compopt -o nosort 2>/dev/null
  for value in "\${values[@]}"; do
    if ((\${#value} > width)); then width=\${#value}; fi
  done
  room=$((\${COLUMNS:-80} > width + 14 ? \${COLUMNS:-80} - width - 8 : 6))
  for i in "\${!values[@]}"; do
    # Descriptions stand beside candidates, but not where they would get into the line: a single one, menu-complete.
    if ((\${#values[@]} == 1 || COMP_TYPE == 37 || COMP_TYPE == 42)) || [[ -z \${descriptions[i]} ]]; then
      COMPREPLY+=("\${values[i]}")
    else
      printf -v value '%-*s  (%.*s)' "$width" "\${values[i]}" "$room" "\${descriptions[i]}"
      COMPREPLY+=("$value")
    fi
  done
  case $directive in
    *files*)
      ((\${#values[@]})) || compopt -o filenames
      while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$fragment")
      ;;
  esac
}
complete -F __banger_complete banger
`;

const ZSH = `#compdef banger
_banger() {
  local line directive value description found=1
  local -a candidates options
  for line in "\${(@f)$("\${words[1]}" internal complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :*) directive=$line ;;
      *)
        value=\${line%%$'\\t'*} description=\${line#*$'\\t'}
        candidates+=("\${value//:/\\\\:}:$description")
        ;;
    esac
  done
  [[ $directive == *nospace* ]] && options=(-S '')
  (($#candidates)) && _describe -V banger candidates "\${options[@]}" && found=0
  [[ $directive == *files* ]] && _files && found=0
  return found
}
# As a file in fpath it is the function itself; after eval it has to be tied to the command.
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then
  _banger "$@"
else
  compdef _banger banger
fi
`;

const FISH = `# fish completion for banger
function __banger_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] internal complete -- $words[2..-1] "$current" 2>/dev/null)
        if string match -q ':*' -- $line
            string match -q '*files*' -- $line
            and __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c banger -f -a '(__banger_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** Where shells look for the script. The packages install it there. */
export const SCRIPT_FILES: Readonly<Record<Shell, string>> = { bash: 'banger.bash', zsh: '_banger', fish: 'banger.fish' };
