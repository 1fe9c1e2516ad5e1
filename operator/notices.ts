import { listNotices, type ListedNotice } from '../activities/ledger/notices';
import { noticeMessage, type NoticeMessage } from '../pipelines/notify';
import { requirePipeline } from './names';
import type { OperatorSession } from './session';

/** What was told, as it was, and what became of it at each hook; newest first. Throws `pipeline.unknown`. */
export async function noticesOf(
  session: Pick<OperatorSession, 'database' | 'project'>,
  filter: { readonly pipeline?: string | undefined; readonly limit: number },
): Promise<(NoticeMessage & Pick<ListedNotice, 'deliveries'>)[]> {
  if (filter.pipeline !== undefined) await requirePipeline(session, filter.pipeline);
  const notices = await listNotices(session.database, filter);
  return notices.map(({ deliveries, ...notice }) => ({ ...noticeMessage(notice), deliveries }));
}
