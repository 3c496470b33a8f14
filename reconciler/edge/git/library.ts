// isomorphic-git, loaded when it is first needed: half a megabyte that a reconciler of a local
// repository with a git beside it never runs. In: nothing. Out: the library.
// Not here: what it is asked (remote-http, base-mirror, objects).

export const gitLibrary = async () => (await import('isomorphic-git')).default;
