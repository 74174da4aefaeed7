"""Which dead letters later deliveries have replaced, so that sending them would put old over new.

A platform keeps one of each: a run's weights, its state, which the milestones tell, and an epoch's metrics. What waits
still arrives after the dead letter; a final checkpoint and a milestone are replaced only by what may have arrived.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_REPLACED = text(
    """
    WITH kept AS (
      SELECT d.id, d.run_id, d.destination_id, d.first_event, d.state,
             CASE WHEN d.lane = 'upload' THEN 'weights'
                  WHEN d.kind IN ('training_started', 'training_complete', 'training_failed') THEN 'state'
                  WHEN d.kind = 'epoch_end' THEN 'epoch ' || nullif(e.key, '') END AS what,
             d.lane = 'message' AND d.kind != 'epoch_end' OR d.role IS 'final' AS is_last_word
      FROM deliveries d LEFT JOIN events e ON e.id = d.first_event
      WHERE d.run_id IN (SELECT run_id FROM deliveries WHERE state = 'dead')
      UNION ALL
      SELECT d.id, d.run_id, d.destination_id, d.first_event, d.state, 'epoch ' || epoch.key, 0
      FROM deliveries d, json_each(CASE WHEN json_valid(d.body) THEN d.body ELSE '{}' END, '$.metrics') epoch
      WHERE d.kind = 'metrics' AND d.run_id IN (SELECT run_id FROM deliveries WHERE state = 'dead')
    ), newest AS (
      SELECT run_id, destination_id, what,
             max(first_event) FILTER (WHERE state IN ('claimed', 'delivered')) AS sent,
             max(first_event) FILTER (WHERE state IN ('pending', 'claimed', 'delivered')) AS planned
      FROM kept WHERE what IS NOT NULL GROUP BY run_id, destination_id, what
    )
    SELECT k.id FROM kept k JOIN newest n USING (run_id, destination_id, what)
    WHERE k.state = 'dead'
    GROUP BY k.id HAVING min(coalesce(k.first_event < CASE WHEN k.is_last_word THEN n.sent ELSE n.planned END, 0))
    """
)


def replaced(connection: Connection) -> list[int]:
    """Return the ids of the dead letters, of all runs, that later deliveries have replaced."""
    return list(connection.execute(_REPLACED).scalars())
