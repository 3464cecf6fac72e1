/** A person's clock: which moment a day and time mean, also where clocks change. */

/** What a field of type datetime-local holds for a moment. */
export function written(moment: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** What a change of clocks makes of a chosen time; empty for every other time. */
export function clockChange(chosen: string): string {
  const moment = new Date(chosen);
  if (Number.isNaN(moment.getTime())) return "";
  if (written(moment) !== chosen.slice(0, 16)) {
    return `Clocks go forward: that day has no ${chosen.slice(11, 16)}. It is posted at ${timeOf(moment)}.`;
  }
  if (!comesTwice(moment)) return "";
  return `Clocks go back: this time comes twice that day. It is posted the first time, at ${timeOf(moment)}.`;
}

/** The time of day; with its offset where the same time comes twice that day. */
export function timeOf(moment: Date): string {
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (comesTwice(moment)) time.timeZoneName = "shortOffset";
  return moment.toLocaleTimeString(undefined, time);
}

/** Whether the clock shows the same time a second time; it is put back half an hour or more. */
function comesTwice(moment: Date): boolean {
  return [-120, -60, -30, 30, 60, 120].some((minutes) => {
    const other = new Date(moment.getTime() + minutes * 60_000);
    return written(other) === written(moment);
  });
}
