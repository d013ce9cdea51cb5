-- Why a child order was sent where and when it was, and how much of the displayed depth its plan did not count on.

ALTER TABLE order_events ADD COLUMN IF NOT EXISTS why String DEFAULT '' COMMENT 'of a child: what the plan said' AFTER reason;

ALTER TABLE order_costs ADD COLUMN IF NOT EXISTS haircut_ppm UInt32 DEFAULT 0 COMMENT 'of displayed depth, not counted on by the plan' AFTER hold_ns;
