-- How many purchase orders one contract of a legal entity has at most; null: none of them names or requires any.
select max(orders)
from (select count(number) as orders
      from billing.purchase_order join core.contract using (contract_id)
      where legal_entity_id = %(entity)s
      group by contract_id) counted
