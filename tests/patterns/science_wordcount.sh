#!/bin/sh
# science_wordcount.sh WORDCOUNT SERRY [LAUNCH]: wordcount prints what the pipeline of its --help
# prints, however it is started and cut, and says what it could not read. LAUNCH: words that start it
# as several ranks; then only what has several ranks is asked, and of that launcher.
set -u
wordcount=$1
serry=$2
launch=${3-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failures=0

# way NAME ARGUMENT...: wordcount started in that way.
way() {
    how=$1
    shift
    case $how in
    direct) timeout -k 5 60 "$wordcount" "$@" ;;
    np*) SERRY_NP=${how#np} timeout -k 5 60 "$wordcount" "$@" ;;
    run*) timeout -k 5 60 "$serry" run -n "${how#run}" "$wordcount" "$@" ;;
    launched) timeout -k 5 60 $launch "$wordcount" "$@" ;; # words of a command
    esac
}

pipeline() {
    for f; do cat "$f"; echo; done | tr -cs 'A-Za-z' '\n' | tr A-Z a-z | grep -v '^$' |
        LC_ALL=C sort | LC_ALL=C uniq -c | LC_ALL=C sort -k1,1nr -k2,2 | awk '{print $1" "$2}'
}

# expect SENTENCE STATUS: the last command's status is $got, its output in out, its errors in err;
# the output must be that in expected.
expect() {
    if [ "$got" -eq "$2" ] && cmp -s out expected; then
        echo "ok: $1"
    else
        failures=$((failures + 1))
        echo "FAILED: $1: exit status $got, expected $2; output differs:"
        diff out expected | head -n 10
        cat err
    fi
}

expect_error() {
    if grep -q -- "$2" err; then
        echo "ok: $1"
    else
        failures=$((failures + 1))
        echo "FAILED: $1: no '$2' in:"
        cat err
    fi
}

# counts SENTENCE WAY STATUS ARGUMENT...: out and err of one run, checked against expected.
counts() {
    sentence=$1 how=$2 status=$3
    shift 3
    way "$how" "$@" >out 2>err
    got=$?
    expect "$sentence ($how)" "$status"
}

# words SEED LINES: words of 1 to 12 letters out of few, so that they recur, between separators of
# all kinds, some of them bytes that are no text.
words() {
    LC_ALL=C awk -v seed="$1" -v lines="$2" 'BEGIN {
        srand(seed)
        split(" |, |--|7|\t|\200|\303\251|\n\n|@|[|`|{", gap, "|")
        for (i = 0; i < lines; i++) {
            n = int(rand() * 10)
            for (j = 0; j < n; j++) {
                m = 1 + int(rand() * rand() * 12)
                for (k = 0; k < m; k++)
                    printf "%c", (rand() < 0.3 ? 65 : 97) + int(rand() * rand() * 26)
                printf "%s", gap[1 + int(rand() * 12)]
            }
            printf "\n"
        }
    }'
}

words 1 3000 >many
words 2 40 >few
printf 'no newline at the end' >open
printf 'joined' >open2
: >empty
printf '\n\n' >blank
printf 'a\0b\0\0A zero' >binary
head -c 300 /dev/zero | tr '\0' X >huge
printf 'x' >letter
printf '%s' '-' >dash
cp few ./-minus

small="few open open2 empty blank binary huge letter dash"
ways="direct np4 run1 run3"
two="direct run3"
[ -z "$launch" ] || ways=launched two=launched

pipeline many few >expected
for how in $ways; do
    counts "two files are counted as by the pipeline" "$how" 0 many few
    counts "stretches of 1000 bytes make no difference" "$how" 0 --stretch 1000 many few
done

pipeline $small >expected
for how in $two; do
    for bytes in 1 2 7 64; do
        counts "words over borders of $bytes bytes are whole" "$how" 0 --stretch $bytes $small
    done
done
counts "one worker counts the same" direct 0 --workers 1 --stretch 7 $small
counts "a progress bar leaves the output alone" direct 0 --progress --stretch 64 $small

# Tasks carry their path, and a round is bounded by bytes: a long path makes several rounds.
pipeline many >expected
long=$(printf '%1500s' '' | sed 's/ /.\//g')many
counts "the borders of rounds cut no word" direct 0 --stretch 2 "$long"

pipeline few few few >expected
counts "a file named three times counts three times" direct 0 few few few
pipeline ./-minus >expected
counts "after -- a name may begin with a dash" direct 0 -- -minus

pipeline many | head -n 5 >expected
counts "--top 5 prints five lines" direct 0 --top 5 many
: >expected
counts "--top 0 prints none" direct 0 --top 0 many
counts "empty files have no words" direct 0 empty blank
[ -n "$launch" ] || counts "empty files have no words" run3 0 empty blank

for how in $ways; do
    pipeline few open >expected
    counts "the rest is counted when a file is missing" "$how" 1 few missing open
    expect_error "the missing file is named with the reason ($how)" \
        'missing: No such file or directory'
    if [ "$(grep -c 'missing: No such' err)" -ne 1 ]; then
        failures=$((failures + 1))
        echo "FAILED: it is named once ($how)"
    fi
done
counts "the rest is counted when one is a directory" direct 1 . few open
expect_error "the directory is named with the reason" '\.: Is a directory'
mkfifo fifo
counts "nobody waits for a FIFO" direct 1 fifo few open
expect_error "the FIFO is named with the reason" 'fifo: Not a regular file'
if [ "$(id -u)" -eq 0 ]; then
    echo "skipped: a file without permission, because root may read everything"
else
    cp few closed
    chmod 000 closed
    counts "the rest is counted when a file may not be read" direct 1 closed few open
    expect_error "the closed file is named with the reason" 'closed: Permission denied'
fi

: >expected
for how in $two; do
    counts "no files: wrong usage" "$how" 2
    counts "an unknown option: wrong usage" "$how" 2 --nonsense few
    counts "--top x: wrong usage" "$how" 2 --top x few
    counts "--stretch 0: wrong usage" "$how" 2 --stretch 0 few
    counts "--workers -1: wrong usage" "$how" 2 --workers -1 few
done
expect_error "wrong usage names the option and its limits" "workers is '-1'.*from 1 to"

way direct --help >out 2>err
got=$?
cp out expected
expect "--help ends well" 0
cp out err
expect_error "--help says what a word is" 'A word is'

if [ -c /dev/full ]; then
    timeout -k 5 60 "$wordcount" few >/dev/full 2>err
    got=$?
    : >out && : >expected
    expect "a full disk is a failure" 1
    expect_error "a full disk is named" 'cannot write'
fi

echo "$failures failures"
[ "$failures" -eq 0 ]
