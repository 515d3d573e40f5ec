# SPDX-License-Identifier: Apache-2.0
# bash completion for kesfs-migrate

_kesfs_migrate() {
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} word
	local options='--from --to --target --merge --force --backup-to --yes --dry-run --check --list --long --include
		--exclude --files-from --raw --create --no-verify --transfers --tpslimit --timeout --max-errors --json
		--progress --quiet --verbose --help --version -f -y -n -j -P -q -v -h -V'
	COMPREPLY=()
	[[ $cur == = ]] && cur=
	[[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
	case $before in
	--from|--to|--target|--backup-to|--files-from|--json)
		COMPREPLY=($(compgen -f -- "$cur"))
		compopt -o filenames
		return ;;
	--include|--exclude|--transfers|-j|--tpslimit|--timeout|--max-errors)
		return ;;
	esac
	for word in $options; do
		[[ $cur == -* && $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
}
complete -F _kesfs_migrate kesfs-migrate
