// The seccomp profile of every container: which system calls a process in it may make. In: the
// node's architecture and the container's capabilities. Out: `linux.seccomp` of an OCI runtime
// specification. It is an allow list: what is not named fails with EPERM. Left out on purpose are
// calls that load kernel code, change the clock, the host or other processes' memory, and doors
// that have had many holes (bpf, userfaultfd, io_uring, perf events, key rings). A capability that
// is granted opens the calls it is for. Short on purpose: runc compiles the list at each start,
// which costs about 10 ms for this one.

/** Architectures as OCI platforms name them. */
export type Architecture = 'amd64' | 'arm64';

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op:
      | 'SCMP_CMP_EQ'
      | 'SCMP_CMP_NE'
      | 'SCMP_CMP_MASKED_EQ'
      | 'SCMP_CMP_LT'
      | 'SCMP_CMP_GT';
  }[];
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

const EPERM = 1;
const ENOSYS = 38;

/**
 * The profile for one container. `capabilities` are the names in its bounding set (`CAP_…`); order
 * and duplicates do not matter: equal sets give equal profiles.
 */
export const seccompProfile = (
  architecture: Architecture,
  capabilities: readonly string[],
): SeccompProfile => {
  const granted = new Set(capabilities);
  const byCapability = BY_CAPABILITY.filter(([capability]) => granted.has(capability)).flatMap(
    ([, names]) => names,
  );
  const own = architecture === 'amd64' ? AMD64_ONLY : ARM64_ONLY;
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[architecture],
    syscalls: [
      { names: [...ALLOWED, ...own, ...byCapability], action: 'SCMP_ACT_ALLOW' },
      ...PERSONALITIES,
      ...SOCKETS,
      ...(granted.has('CAP_SYS_ADMIN') ? [] : CLONES),
    ],
  };
};

/**
 * 32-bit programs are allowed beside the native ones: a container of an old program should not die
 * of SIGSYS.
 */
const ARCHITECTURES: Readonly<Record<Architecture, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const ALLOWED = words(`
  accept accept4 access alarm bind brk cachestat capget capset chdir chmod chown chown32
  clock_getres
  clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close
  close_range
  connect copy_file_range creat dup dup2 dup3
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
  epoll_wait_old
  eventfd eventfd2 execve execveat exit exit_group
  faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat
  fchmodat2 fchown
  fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr
  fstat
  fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
  futex_wait
  futex_waitv futex_wake futimesat
  getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
  getgroups32
  getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32
  getresuid
  getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt get_thread_area
  gettid
  gettimeofday getuid getuid32 getxattr
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy
  io_getevents
  io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc
  kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr
  link linkat
  listen listxattr llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64
  madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod
  mknodat mlock
  mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
  mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv
  msgsnd msync
  munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect
  open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
  pkey_mprotect poll
  ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6
  pselect6_time64 ptrace
  pwrite64 pwritev pwritev2
  read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  remap_file_pages
  removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
  rt_sigprocmask
  rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
  rt_tgsigqueueinfo
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
  sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
  sched_setattr
  sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
  semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid
  setfsuid32
  setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid
  setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt
  set_thread_area set_tid_address setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown
  sigaltstack
  signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs
  statfs64 statx
  symlink symlinkat sync sync_file_range syncfs sysinfo
  tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
  timer_settime
  timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
  timerfd_settime64 times
  tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat
  utimensat_time64 utimes
  vfork vmsplice wait4 waitid waitpid write writev
`);

const AMD64_ONLY = words('arch_prctl modify_ldt');
const ARM64_ONLY = words(
  'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
);

/** What a capability is for, it may do: granting it and refusing its calls would help nobody. */
const BY_CAPABILITY: readonly (readonly [string, readonly string[]])[] = [
  ['CAP_DAC_READ_SEARCH', words('open_by_handle_at')],
  [
    'CAP_SYS_ADMIN',
    words(`bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount
      mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
      sethostname setns syslog umount umount2 unshare`),
  ],
  ['CAP_BPF', words('bpf')],
  ['CAP_PERFMON', words('perf_event_open')],
  ['CAP_SYS_BOOT', words('reboot')],
  ['CAP_SYS_CHROOT', words('chroot')],
  ['CAP_SYS_MODULE', words('delete_module finit_module init_module')],
  ['CAP_SYS_PACCT', words('acct')],
  ['CAP_SYS_PTRACE', words('kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev')],
  ['CAP_SYS_RAWIO', words('ioperm iopl')],
  [
    'CAP_SYS_TIME',
    words(
      'adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday stime',
    ),
  ],
  ['CAP_SYS_TTY_CONFIG', words('vhangup')],
  ['CAP_SYS_NICE', words('get_mempolicy mbind set_mempolicy set_mempolicy_home_node')],
  ['CAP_SYSLOG', words('syslog')],
];

/**
 * Linux, 32-bit Linux, "tell me" (0xffffffff), and the two with short inodes (UNAME26 is 0x20000).
 */
const PERSONALITIES: readonly SeccompRule[] = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map(
  (value) => ({
    names: ['personality'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
  }),
);

/**
 * Every address family but AF_VSOCK (40), which speaks to the hypervisor around every network rule.
 */
const SOCKETS: readonly SeccompRule[] = [
  {
    names: ['socket'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: 40, op: 'SCMP_CMP_NE' }],
  },
];

/**
 * Processes and threads, but no new name spaces: the mask is the union of the CLONE_NEW… flags.
 * clone3 hides its flags behind a pointer that a filter cannot follow; ENOSYS makes libraries fall
 * back to clone.
 */
const CLONES: readonly SeccompRule[] = [
  {
    names: ['clone'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
  },
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
];
