/** Numbers with their units. */

export function bytes(count: number): string {
  if (count < 1e6) return `${Math.ceil(count / 1e3)} kB`;
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
}

export function duration(ms: number): string {
  if (ms < 950) return `${Math.round(ms / 10) * 10} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  return `${minutes} min ${Math.round(seconds) % 60} s`;
}

/** Time left of a task that has done `done` of `total` in `ms`; empty while too little is known. */
export function timeLeft(done: number, total: number, ms: number): string {
  if (done <= 0 || done >= total || ms < 300) return "";
  return `about ${duration((ms / done) * (total - done))} left`;
}
