CREATE TABLE attempts (
    seq             INTEGER PRIMARY KEY,     -- 1, 2, 3, ...: the order of the answers, whatever the clock said
    id              TEXT    NOT NULL UNIQUE, -- UUID, made when the question was shown
    item            TEXT    NOT NULL,        -- key of the question: `p3/count-hello`, a pack's `pack:p3/count-hello`
    mode            TEXT    NOT NULL,        -- `quiz` or `review`
    answer          TEXT    NOT NULL,        -- JSON: ids of the choices taken, or what was typed
    is_right        INTEGER NOT NULL CHECK (is_right IN (0, 1)),
    score           REAL    NOT NULL CHECK (score BETWEEN 0 AND 1),
    confidence      INTEGER CHECK (confidence BETWEEN 1 AND 3), -- 1 guess, 2 fairly sure, 3 sure; NULL: not asked
    elapsed_ms      INTEGER NOT NULL CHECK (elapsed_ms >= 0),   -- milliseconds from shown to answered
    answered_at     INTEGER NOT NULL,        -- Unix seconds, UTC
    answered_on     TEXT    NOT NULL,        -- the same as a civil date in the learner's zone, YYYY-MM-DD
    content_version TEXT    NOT NULL,        -- program version, or pack-id@version
    pack            TEXT,                    -- id of the pack the question comes from; NULL: the course
    seal            INTEGER NOT NULL DEFAULT 0                  -- check sum of this row and the seal before it
) STRICT;

CREATE TABLE cards (
    item          TEXT    NOT NULL PRIMARY KEY,
    due_on        TEXT    NOT NULL,          -- civil date in the learner's zone, YYYY-MM-DD
    interval_days INTEGER NOT NULL CHECK (interval_days >= 1),
    lapses        INTEGER NOT NULL CHECK (lapses >= 0),         -- times it was forgotten
    stability     REAL    NOT NULL,          -- FSRS: days until recall falls to 90 %
    difficulty    REAL    NOT NULL,          -- FSRS: 1 to 10
    reviewed_on   TEXT    NOT NULL,          -- civil date of the last answer, YYYY-MM-DD
    seal          INTEGER NOT NULL DEFAULT 0 -- check sum of this row
) STRICT;
