# SPDX-License-Identifier: Apache-2.0
# fish completion for kesfs

function __kesfs_mount_options
    set -l token (commandline -ct)
    set -l done (string match -r '^(?:-o)?(.*,)?' -- $token)[1]
    set -l values ro\t'read only' \
        rw\t'keys may be created' \
        overwrite\t'existing keys may be replaced' \
        delete\t'keys may be removed' \
        raw\t'values that no KES server could load may be written' \
        include=\t'only keys that match' \
        exclude=\t'no keys that match' \
        ttl=\t'age at which a listing is taken again' \
        size=open\t'size of unread keys: 0' \
        size=exact\t'size of unread keys: fetched' \
        uid=\t'owner of the files' \
        gid=\t'group of the files' \
        umask=\t'permission bits to take away' \
        allow_other\t'other users may enter' \
        allow_root\t'root may enter too' \
        timeout=\t'longest wait for one answer of a store' \
        requests=\t'requests in flight at most' \
        recovery=\t'how long a removed key can be restored' \
        log=\t'append the log to a file' \
        debug=all\t'log more of every area' \
        debug=cache debug=fuse debug=http debug=store debug=token \
        nonempty\t'mount over a directory that is not empty' \
        auto_unmount\t'unmount even if kesfs is killed' \
        fsname=\t'source shown by mount and df'
    for value in $values
        echo $done$value
    end
end

complete -c kesfs -s o -l options -x -a '(__kesfs_mount_options)' -d 'mount options'
complete -c kesfs -s f -l foreground -d 'stay in the foreground'
complete -c kesfs -s d -l debug -d 'as -f, and show every request'
complete -c kesfs -l probe -d 'mount nothing: say what may be read, listed, written'
complete -c kesfs -s h -l help -d 'show help'
complete -c kesfs -s V -l version -d 'show versions and stores'
