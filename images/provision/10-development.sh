# Title: development packages
# Packages: packages.txt
#
# The packages are installed before the steps run; what is left is to spare their users the first questions.
if command -v git > /dev/null; then
  git config --system init.defaultBranch main
  git config --system advice.defaultBranchName false
fi
