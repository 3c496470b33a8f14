// The watchdog of stop_after (rules 9.3) as a shell script: it must outlive the runner and cost
// next to nothing (dash: 1 MB; a Node process: 40 MB).
// In: nothing. Out: text. Not here: starting it and telling it deadlines (watchdog.ts).

/**
 * Arguments: the file of deadlines, the boot id, seconds between looks. The file is replaced as a
 * whole, so it is always read whole. Line 1 is the boot id; each other line is
 * `<term at> <kill at> <signal> <pid> <cgroup folder>`, times in milliseconds of the boot-time
 * clock. A pid is only signalled while it is in its cgroup. When the file is gone or of another
 * boot, nothing is left to watch and the script ends.
 */
export const WATCHDOG_SCRIPT = `#!/bin/sh
deadlines=$1
boot=$2
pause=$3
echo -500 2>/dev/null > /proc/self/oom_score_adj
members() {
  cat "$1/cgroup.procs" "$1"/*/cgroup.procs "$1"/*/*/cgroup.procs 2>/dev/null
}
termed=" "
absent=0
while :; do
  if [ -r "$deadlines" ]; then
    absent=0
    read -r up _ < /proc/uptime
    now="\${up%.*}\${up#*.}0"
    {
      read -r written || written=
      [ "$written" = "$boot" ] || exit 0
      while read -r term kill signal pid cgroup; do
        [ -n "$cgroup" ] || continue
        if [ "$now" -ge "$kill" ]; then
          if [ -w "$cgroup/cgroup.kill" ]; then echo 1 > "$cgroup/cgroup.kill"; fi
          for one in $(members "$cgroup"); do kill -KILL "$one" 2>/dev/null; done
        elif [ "$now" -ge "$term" ]; then
          case "$termed" in *" $pid:$term "*) continue ;; esac
          for one in $(members "$cgroup"); do
            if [ "$one" = "$pid" ]; then kill -s "$signal" "$pid" 2>/dev/null; fi
          done
          termed="$termed$pid:$term "
        fi
      done
    } < "$deadlines"
  else
    absent=$((absent + 1))
    [ "$absent" -lt 5 ] || exit 0
  fi
  sleep "$pause"
done
`;
