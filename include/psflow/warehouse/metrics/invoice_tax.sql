-- Tax of invoices that count: one row a category and rate, on the sum of the nets; what a return to the tax office adds up.
-- id:     invoice_tax.v1
-- grain:  invoice, category, rate and reason
-- unit:   money in the invoice's currency
-- owner:  finance
-- source: billing.live_invoice, billing.invoice_tax, core.project
create or replace view finance.invoice_tax as
select invoice_key, invoice.legal_entity_id, project.engagement_id, invoice.project_code, invoice.invoiced_on, tax.category,
       tax.rate_pct, tax.reason_code, tax.reason, tax.taxable, tax.tax, invoice.currency, tax.buyer_vat_id
from billing.live_invoice invoice
join billing.invoice_tax tax using (invoice_key)
join core.project using (project_code);
comment on column finance.invoice_tax.invoice_key is 'Our reference on the invoice.';
comment on column finance.invoice_tax.legal_entity_id is 'The company of ours that invoices.';
comment on column finance.invoice_tax.engagement_id is 'The won deal.';
comment on column finance.invoice_tax.project_code is 'The project.';
comment on column finance.invoice_tax.invoiced_on is 'Date of the invoice.';
comment on column finance.invoice_tax.category is
    'As in EN 16931: S standard, Z zero rate, AE reverse charge, E exempt, G export, K intra-community, O not subject; null: taken back as it was billed, before taxes were kept.';
comment on column finance.invoice_tax.rate_pct is 'Rate in percent.';
comment on column finance.invoice_tax.reason_code is 'Why there is no tax (VATEX); null where there is one.';
comment on column finance.invoice_tax.reason is 'The same in words.';
comment on column finance.invoice_tax.taxable is 'Sum of the nets of its lines, in currency.';
comment on column finance.invoice_tax.tax is 'Tax in currency, rounded once on taxable; below zero for a credit.';
comment on column finance.invoice_tax.currency is 'Currency of the invoice.';
comment on column finance.invoice_tax.buyer_vat_id is 'VAT id of the customer when it was invoiced; null: none was known.';
