# Removes the directory $1 once the parent is gone (standard input closes) and every
# process group named after it has ended. $0 is a name for ps.
trap '' TERM
dir=$1
shift
read -r _
for group; do
    while kill -s 0 -- "-$group"; do sleep 0.1; done
done
rm -rf -- "$dir"
