-- The search index. Everything here is derived from the ledger and can be rebuilt.
CREATE TABLE records (
    position    INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    time        TEXT    NOT NULL,
    time_us     INTEGER NOT NULL,
    session     TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    principal   TEXT,
    cluster     TEXT    NOT NULL,
    verb        TEXT    NOT NULL,
    api_group   TEXT    NOT NULL,
    resource    TEXT    NOT NULL,
    subresource TEXT    NOT NULL,
    namespace   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    verdict     TEXT    NOT NULL,
    policy      TEXT,
    rule        TEXT,
    hold        TEXT,
    approver    TEXT,
    ended_us    INTEGER,
    status      INTEGER,
    duration_us INTEGER,
    bytes       INTEGER,
    masked      INTEGER,
    refusal     TEXT
) STRICT;

CREATE INDEX records_agent ON records (agent, position);
CREATE INDEX records_session ON records (session, position);
CREATE INDEX records_time ON records (time_us);

CREATE TABLE sessions (
    first_position INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE,
    agent          TEXT    NOT NULL,
    principal      TEXT,
    first_us       INTEGER NOT NULL,
    last_us        INTEGER NOT NULL,
    records        INTEGER NOT NULL,
    allowed        INTEGER NOT NULL,
    held           INTEGER NOT NULL,
    denied         INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    masked         INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_agent ON sessions (agent, first_position);

-- One row: how many ledger entries the index has taken in.
CREATE TABLE index_progress (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    indexed INTEGER NOT NULL CHECK (indexed >= 0)
) STRICT;
INSERT INTO index_progress (only, indexed) VALUES (1, 0);
