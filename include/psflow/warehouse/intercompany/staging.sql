-- What psflow.yaml says of our companies, and where a run works out what they owe each other; gone with the transaction.
create temporary table transfer_company (
    legal_entity_id text primary key, starts_on date
) on commit drop;
create temporary table transfer_employer (
    employer text primary key, legal_entity_id text not null
) on commit drop;
create temporary table transfer_price (  -- what an hour costs between two days; of a table of rates a row a role
    lender text not null, borrower text not null, valid_from date, valid_to date, rule_id bigint not null, price_kind text not null,
    role text, hourly_rate numeric, factor_pct numeric not null, currency char(3) not null
) on commit drop;
create temporary table transfer_hour (  -- each lent hour with its price, or the reason why it waits
    time_entry_id text not null, version integer not null, project_code text not null, resource_id text, role text,
    worked_on date not null, minutes integer not null, employer text, lender text, borrower text not null, rule_id bigint,
    basis numeric(18, 4), basis_minutes integer, basis_currency char(3), fx_rate numeric(18, 8), factor_pct numeric(9, 4),
    currency char(3), is_there boolean not null, reason text
) on commit drop;
create temporary table transfer_bill (  -- what hours that are billed whole are billed at
    time_entry_id text primary key, project_code text not null, worked_on date not null, role text, minutes integer not null,
    amount numeric not null, currency char(3) not null
) on commit drop
