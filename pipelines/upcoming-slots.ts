import { canonicalJson } from './canonical';
import { nextSlot, type Slot, type Timetable } from './calendar';

/** Timetables remembered at most. */
const REMEMBERED = 10_000;

/**
 * The next slot of each timetable, remembered until it is past: a look at a thousand schedules that nothing is due of asks no calendar.
 * Schedules of the same times share one.
 */
export class UpcomingSlots {
  readonly #known = new Map<string, { readonly after: number; readonly slot: Slot | undefined }>();

  /** As {@link nextSlot}. */
  next({ cron, timezone, gap, fold, holidays }: Timetable, after: Date): Slot | undefined {
    const name = canonicalJson({ cron, timezone, gap, fold, holidays });
    const known = this.#known.get(name);
    const at = after.getTime();
    if (known !== undefined && known.after <= at && (known.slot === undefined || at < Date.parse(known.slot.at))) return known.slot;
    const slot = nextSlot({ cron, timezone, gap, fold, ...(holidays && { holidays }) }, after);
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(name, { after: at, slot });
    return slot;
  }
}
