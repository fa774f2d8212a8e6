# Title: tmux with plugins
# Packages: tmux tmux-plugin-manager
# Artifacts: tmux-resurrect tmux-continuum
#
# Sessions are saved by themselves; they come back when the user asks (prefix, Ctrl-r). What the user writes into the file outside of
# the block stays.
#
# Continuum takes a server that is older than restore-max-delay (10 s) for one that others may use beside it, counts the client that is
# just starting as such another, and saves nothing; under emulation loading alone takes longer than that.
for plugin in tmux-resurrect tmux-continuum; do
  mkdir -p "/root/.tmux/plugins/$plugin"
  tar -C "/root/.tmux/plugins/$plugin" -x -f "$BANGER_BUILD/$plugin" --no-same-owner
done

begin='# >>> banger >>>'
end='# <<< banger <<<'
touch /root/.tmux.conf
sed -i "/^$begin\$/,/^$end\$/d" /root/.tmux.conf
cat >> /root/.tmux.conf <<END
$begin
set -g @plugin 'tmux-plugins/tmux-resurrect'
set -g @plugin 'tmux-plugins/tmux-continuum'
set -g @continuum-save-interval '15'
set -g @continuum-restore 'off'
set -g @continuum-restore-max-delay '300'
run '/usr/share/tmux-plugin-manager/tpm'
$end
END
