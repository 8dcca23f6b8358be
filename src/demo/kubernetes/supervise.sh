# Runs "$@" as the only work of this process group and ends with its status. Standard
# input is a pipe that the parent holds open: when the parent is gone, whatever ended
# it, the pipe closes and the whole group goes too. $0 is the program's name for ps.
exec 3<&0 </dev/null

# This shell outlives a TERM to its group, so that it can report how the program ended.
trap '' TERM
(trap - TERM; exec "$@" 3<&-) &
program=$!

(
    read -r _ <&3
    kill -s TERM 0
    # Short sleeps, because one that is left over is a process too.
    tenths=0
    while [ $tenths -lt 20 ]; do sleep 0.1; tenths=$((tenths + 1)); done
    kill -s KILL 0
) >/dev/null 2>&1 &
watch=$!
exec 3<&-

wait $program
status=$?
# What the program itself left behind, then the watch, which ignores TERM like this shell.
kill -s TERM 0
kill -s KILL $watch
wait $watch 2>/dev/null
exit $status
