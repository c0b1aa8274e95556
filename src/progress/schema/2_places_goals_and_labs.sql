CREATE TABLE places (
    lesson       TEXT    NOT NULL PRIMARY KEY,
    furthest     REAL    NOT NULL CHECK (furthest BETWEEN 0 AND 1), -- share read
    position     REAL    NOT NULL CHECK (position BETWEEN 0 AND 1), -- where the learner stopped, as a share
    completed_at INTEGER,                    -- Unix seconds, UTC; NULL: not done
    updated_at   INTEGER NOT NULL,           -- Unix seconds, UTC
    seal         INTEGER NOT NULL DEFAULT 0  -- check sum of this row
) STRICT;

CREATE TABLE goals (
    lab        TEXT    NOT NULL,
    goal       TEXT    NOT NULL,
    evidence   TEXT    NOT NULL,             -- JSON: what was typed and measured
    reached_at INTEGER NOT NULL,             -- Unix seconds, UTC
    seal       INTEGER NOT NULL DEFAULT 0,   -- check sum of this row
    PRIMARY KEY (lab, goal)
) STRICT;

CREATE TABLE labs (
    lab        TEXT    NOT NULL PRIMARY KEY,
    state      TEXT    NOT NULL,             -- JSON of the lab's own making
    updated_at INTEGER NOT NULL,             -- Unix seconds, UTC
    seal       INTEGER NOT NULL DEFAULT 0    -- check sum of this row
) STRICT;

CREATE TABLE last_screen (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT    NOT NULL,                  -- JSON of the app's own making
    seal  INTEGER NOT NULL DEFAULT 0         -- check sum of this row
) STRICT;
