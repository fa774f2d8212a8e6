# Title: mise
# Artifacts: mise
#
# The program lies in the root file system, what users install with it below /root. It offers itself to every bash: a login gets
# the shims, which cost nothing, an interactive one the whole of it.
tar -C /usr/local -x -z -f "$BANGER_BUILD/mise" --strip-components=1 package/bin/mise
mise --version

cat > /etc/profile.d/mise.sh <<'END'
PATH="$HOME/.local/share/mise/shims:$PATH"
END
begin='# >>> banger: mise >>>'
end='# <<< banger: mise <<<'
touch /etc/bash.bashrc
sed -i "/^$begin\$/,/^$end\$/d" /etc/bash.bashrc
{
  echo "$begin"
  echo 'if [ -n "$PS1" ] && command -v mise > /dev/null; then eval "$(mise activate bash)"; fi'
  echo "$end"
} >> /etc/bash.bashrc
