/**
 * One frame, one draw. Whatever changed marks its task; all marked tasks run
 * once, together, before the browser paints. A hidden page has no frames; there
 * the tasks run once a second, enough for the title of the tab.
 */
export class Frame {
  private marked = new Set<() => void>();
  private pending = false;

  /** Asks that `task` run in the next frame; asking twice is asking once. */
  readonly mark = (task: () => void): void => {
    this.marked.add(task);
    if (this.pending) return;
    this.pending = true;
    if (document.hidden) setTimeout(this.run, 1000);
    else requestAnimationFrame(this.run);
  };

  private readonly run = (): void => {
    this.pending = false;
    const tasks = this.marked;
    this.marked = new Set();
    for (const task of tasks) task();
  };
}
