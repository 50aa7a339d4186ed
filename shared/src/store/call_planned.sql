-- Calls a statement that is kept as a function (keep_plan.sql); planned.rs fills in its
-- name and its parameters.
SELECT neon_identity.statement_name(statement_parameters) AS outcome;
