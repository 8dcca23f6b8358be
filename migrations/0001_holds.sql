-- Holds and the answers of people. Times are microseconds since the Unix epoch.
-- `expires_at` belongs to the state: until when it waits, may be used, or stays denied.
CREATE TABLE holds (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    digest          BLOB    NOT NULL CHECK (length(digest) = 32),
    state           TEXT    NOT NULL CHECK
        (state IN ('pending', 'approved', 'denied', 'used', 'expired', 'replaced')),
    filed_at        INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    decided_at      INTEGER,
    used_at         INTEGER,
    wait_us         INTEGER NOT NULL CHECK (wait_us > 0),
    agent           TEXT    NOT NULL CHECK (agent <> ''),
    principal       TEXT,
    issuer          TEXT    NOT NULL,
    aliases         TEXT    NOT NULL CHECK (json_valid(aliases)),
    caller_groups   TEXT    NOT NULL CHECK (json_valid(caller_groups)),
    cluster         TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    verb            TEXT    NOT NULL,
    api_group       TEXT    NOT NULL,
    resource        TEXT    NOT NULL,
    subresource     TEXT    NOT NULL,
    namespace       TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    query           TEXT    NOT NULL,
    content_type    TEXT,
    body            BLOB    NOT NULL,
    policy          TEXT    NOT NULL,
    policy_digest   TEXT    NOT NULL,
    rule            TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    approver_groups TEXT    NOT NULL CHECK (json_valid(approver_groups)),
    quorum          INTEGER NOT NULL CHECK (quorum >= 1)
) STRICT;

-- One live hold per digest, whoever races.
CREATE UNIQUE INDEX holds_live ON holds (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX holds_denied ON holds (digest, expires_at) WHERE state = 'denied';
CREATE INDEX holds_pending ON holds (agent, expires_at) WHERE state = 'pending';
CREATE INDEX holds_expiry ON holds (expires_at) WHERE state IN ('pending', 'approved');

CREATE TABLE approvals (
    hold    TEXT    NOT NULL REFERENCES holds (id) ON DELETE CASCADE,
    voter   TEXT    NOT NULL CHECK (voter <> ''),
    aliases TEXT    NOT NULL CHECK (json_valid(aliases)),
    issuer  TEXT    NOT NULL,
    answer  TEXT    NOT NULL CHECK (answer IN ('approve', 'deny')),
    comment TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (hold, voter)
) STRICT;
