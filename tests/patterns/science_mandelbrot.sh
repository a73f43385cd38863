#!/bin/sh
# science_mandelbrot.sh MANDELBROT SERRY [LAUNCH]: mandelbrot writes the same picture however it is
# started and cut into tiles, of the size asked for, with the right points black. LAUNCH: words that
# start it as several ranks, in place of the other ways to have several.
set -u
mandelbrot=$1
serry=$2
launch=${3-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failures=0

# way NAME ARGUMENT...: mandelbrot started in that way.
way() {
    how=$1
    shift
    case $how in
    direct) timeout -k 5 120 "$mandelbrot" "$@" ;;
    np*) SERRY_NP=${how#np} timeout -k 5 120 "$mandelbrot" "$@" ;;
    run*) timeout -k 5 120 "$serry" run -n "${how#run}" "$mandelbrot" "$@" ;;
    launched) timeout -k 5 120 $launch "$mandelbrot" "$@" ;; # words of a command
    esac
}

# verdict SENTENCE STATUS: judges the command before by the status it left.
verdict() {
    if [ "$2" -eq 0 ]; then
        echo "ok: $1"
    else
        failures=$((failures + 1))
        echo "FAILED: $1"
        cat err
    fi
}

# number FILE OFFSET: the four bytes there, the highest first.
number() {
    od -An -tu1 -j "$2" -N 4 "$1" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }'
}

view="--width 101 --height 67 --center -0.745,0.11 --zoom 40 --iterations 300"

way direct $view --output direct.png 2>err
verdict "a picture is written" $?
[ "$(od -An -tx1 -N 8 direct.png | tr -d ' ')" = 89504e470d0a1a0a ]
verdict "it is a PNG file" $?
[ "$(number direct.png 16) $(number direct.png 20)" = "101 67" ]
verdict "it is 101 by 67 pixels" $?

ways="np4 run1 run3"
two="direct run3"
[ -z "$launch" ] || ways=launched two=launched
for how in $ways; do
    way $how $view --output $how.png 2>err
    verdict "a picture is written ($how)" $?
    cmp direct.png $how.png 2>>err
    verdict "it is that of the program started directly ($how)" $?
done
for tile in 1 7 100 1024; do
    way direct $view --tile $tile --output tile.png 2>err
    cmp direct.png tile.png 2>>err
    verdict "tiles of $tile pixels make the same picture" $?
done
way direct $view --progress --output bar.png 2>err
cmp direct.png bar.png 2>>err
verdict "a progress bar leaves the picture alone" $?
way direct $view --zoom 41 --output other.png 2>err
! cmp -s direct.png other.png
verdict "another view is another picture" $?

# One pixel shows whether a point is inside.
point() {
    way direct --width 1 --height 1 --zoom 1e9 --center "$1" --output "$2" 2>err
}
point 0,0 black.png
for inside in -1,0 0.2,0.3 -0.1225612,0.7448618 -1.7548777,0 -0.1225612,-0.7448618; do
    point $inside point.png && cmp black.png point.png 2>>err
    verdict "$inside is inside" $?
done
for outside in 0.3,0 1,1 -2.01,0 -0.75,0.2 0,1.1; do
    point $outside point.png && ! cmp -s black.png point.png
    verdict "$outside is outside" $?
done
point 0.4,0.5 above.png && point 0.4,-0.5 below.png && cmp above.png below.png 2>>err
verdict "the set is its own mirror image" $?

# refused STATUS PATTERN ARGUMENT...
refused() {
    status=$1 pattern=$2
    shift 2
    for how in $two; do
        way $how "$@" >out 2>err
        got=$?
        [ $got -eq "$status" ] && [ "$(grep -c -- "$pattern" err)" -eq 1 ] && [ ! -s out ]
        verdict "'$*' ends with $status and says why, once ($how)" $?
    done
}
refused 2 "--width is '0'" --width 0
refused 2 "--height is '16385'" --height 16385
refused 2 "--tile is 'x'" --tile x
refused 2 "--center is '1'" --center 1
refused 2 "--center is 'nan,0'" --center nan,0
refused 2 "--zoom is '0'" --zoom 0
refused 2 "--iterations is '-5'" --iterations=-5
refused 2 'nonsense' --nonsense
refused 2 "what is 'more'" more
refused 1 'missing/x.png: No such file or directory' --output missing/x.png
if [ -c /dev/full ]; then
    refused 1 '/dev/full: No space left on device' --width 300 --output /dev/full
fi

way direct --help >out 2>err
[ $? -eq 0 ] && grep -q 'Usage: mandelbrot' out
verdict "--help says how" $?

echo "$failures failures"
[ "$failures" -eq 0 ]
