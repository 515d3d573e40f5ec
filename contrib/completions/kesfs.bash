# SPDX-License-Identifier: Apache-2.0
# bash completion for kesfs

_kesfs_reply() {   # PREFIX TYPED WORD...: the words that begin with TYPED, PREFIX before each
	local prefix=$1 typed=$2 word
	shift 2
	for word; do
		[[ $word == "$typed"* ]] && COMPREPLY+=("$prefix$word")
	done
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}

_kesfs_files() {
	COMPREPLY=($(compgen -f -- "$1"))
	compopt -o filenames
}

_kesfs() {
	local line=${COMP_LINE:0:COMP_POINT} word before rest option
	COMPREPLY=()
	word=${line##*[[:space:]]}                         # what is being typed, "=" and all
	before=${line%"$word"}
	before=${before%"${before##*[![:space:]]}"}
	before=${before##*[[:space:]]}
	rest=$word                                         # the part that readline replaces
	[[ $COMP_WORDBREAKS == *=* ]] && rest=${word##*=}

	if [[ $before == -o || $before == --options ]]; then
		option=${word##*,}
		case $option in
		size=*) _kesfs_reply '' "${rest##*,}" open exact ;;
		debug=*) _kesfs_reply '' "${rest##*,}" all cache fuse http store token ;;
		log=*) _kesfs_files "${option#log=}" ;;
		*=*) ;;
		*) _kesfs_reply "${rest%"${rest##*,}"}" "$option" ro rw overwrite delete raw include= exclude= ttl= size= \
			uid= gid= umask= allow_other allow_root timeout= requests= recovery= log= debug= nonempty auto_unmount fsname= ;;
		esac
	elif [[ $word == -* ]]; then
		_kesfs_reply '' "$word" -o -f -d -h -V --options --foreground --debug --probe --help --version
	else
		_kesfs_files "$rest"
	fi
}
complete -F _kesfs kesfs
