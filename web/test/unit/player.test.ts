import { describe, expect, it } from 'vitest';
import { instant } from '../../src/market/instant.ts';
import type { Instant } from '../../src/market/instant.ts';
import type { Rest } from '../../src/net/rest.ts';
import type { Played } from '../../src/state/played.ts';
import { Player } from '../../src/state/player.svelte.ts';
import { nowhere, readRoute, writeRoute } from '../../src/state/route.ts';
import type { Session } from '../../src/state/session.svelte.ts';
import type { Watch } from '../../src/state/watch.svelte.ts';

const at = (text: string): Instant => instant(`2026-11-23T${text}Z`) as Instant;
const clock = (time: string, more: object = {}) => ({
  time: at(time),
  speed: 1,
  live: false,
  playing: true,
  ended: false,
  ...more,
});

/** A player at noon whose session, watch list and address write down what they are told. */
function setUp() {
  const told: string[] = [];
  const where = (played: Played | null): string =>
    played === null
      ? 'live'
      : `${String(played.from.s % 86400)} ${played.playing ? 'plays' : 'stands'} ${String(played.speed)}`;
  let now = Date.parse('2026-11-23T12:00:00Z');
  const session = {
    seek: (played: Played | null) => told.push(`seek ${where(played)}`),
    pace: (playing: boolean, speed: unknown) =>
      told.push(`${playing ? 'play' : 'pause'} ${String(speed)}`),
    step: () => told.push('step'),
  } as unknown as Session;
  const watch = {
    clockAhead: 500,
    rewind: () => undefined,
    advance: (to: Instant) => told.push(`watch ${String(to.s % 86400)}`),
  } as unknown as Watch;
  const player: Player = new Player({
    rest: { begin: () => Promise.resolve(1000) } as unknown as Rest,
    session,
    watch,
    onMove: (how) => told.push(`${how} ${writeRoute({ ...nowhere, ...player.address() })}`),
    now: () => now,
  });
  const said = (): string[] => told.splice(0);
  return { player, said, wait: (ms: number) => (now += ms) };
}

describe('Player', () => {
  it('goes to a moment and back, each a step that can be undone', () => {
    const { player, said } = setUp();
    player.seek(at('10:00:00'));
    player.seek(at('10:30:00'), true);
    player.live();
    player.live();
    expect(said()).toEqual([
      'seek 36000 stands 1',
      'push #at=2026-11-23T10:00:00Z',
      'seek 37800 plays 1',
      'replace #at=2026-11-23T10:30:00Z&speed=1',
      'seek live',
      'push #',
    ]);
  });

  it('takes what is not over yet for the present, by the clock of the server', () => {
    const { player, said } = setUp();
    player.seek(at('11:59:59.6'));
    expect(player.at).toBeNull();
    expect(said()).toEqual([]);
    player.seek(at('11:59:59.4'));
    expect(player.at).toEqual(at('11:59:59.4'));
    expect(setUp().player.follow({ ...nowhere, at: at('13:00:00') })).toBe(false);
  });

  it('stands still where it is, plays on, and steps only while it stands', () => {
    const { player, said } = setUp();
    player.step();
    player.toggle();
    expect(said()).toEqual(['seek 43199 stands 1', 'push #at=2026-11-23T11:59:59.499Z']);
    player.toggle();
    player.shift(1);
    player.step();
    expect(said()).toEqual([
      'play 1',
      'replace #at=2026-11-23T11:59:59.499Z&speed=1',
      'play 2',
      'replace #at=2026-11-23T11:59:59.499Z&speed=2',
      'pause 2',
      'replace #at=2026-11-23T11:59:59.499Z',
      'step',
    ]);
  });

  it('follows the clock, the address now and then, and the present when it has come there', () => {
    const { player, said, wait } = setUp();
    player.hear(clock('10:00:00'));
    expect(said()).toEqual([]);
    player.seek(at('10:00:00'), true);
    said();
    player.hear(clock('10:00:01'));
    wait(2_500);
    player.hear(clock('10:00:02'));
    player.hear(clock('10:00:03', { playing: false }));
    expect(said()).toEqual([
      'watch 36001',
      'watch 36002',
      'replace #at=2026-11-23T10:00:02Z&speed=1',
      'watch 36003',
      'replace #at=2026-11-23T10:00:03Z&speed=1',
    ]);
    player.hear(clock('12:00:00', { live: true }));
    expect(said()).toEqual(['seek live', 'replace #']);
    expect([player.at, player.playing]).toEqual([null, false]);
  });

  it('goes where an address leads that it did not write itself', () => {
    const { player } = setUp();
    const route = readRoute('#at=2026-11-23T10:00:00Z&speed=30');
    expect(player.follow(route)).toBe(true);
    expect(player.played).toEqual({ from: at('10:00:00'), speed: 30, playing: true });
    player.hear(clock('10:00:09'));
    player.hear(clock('10:00:10'));
    // The address lags behind; another symbol at it is shown where the clock is by now.
    expect(player.follow({ ...route, at: at('10:00:09') })).toBe(false);
    expect(player.at).toEqual(at('10:00:10'));
    expect(player.follow(nowhere)).toBe(true);
    expect(player.at).toBeNull();
    expect(player.follow(nowhere)).toBe(false);
  });

  it('knows how far back it can go', async () => {
    const { player } = setUp();
    expect(player.span).toBeNull();
    await player.measure('SIM:A');
    expect(player.span).toEqual({ from: 1000, to: at('11:59:59').s });
  });
});
