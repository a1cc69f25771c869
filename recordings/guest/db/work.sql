-- What one copy does. :seed makes its customers, its rows and their number its own.
select setseed(:seed / 1000.0);
set max_parallel_workers_per_gather = 0;
select 180 + (random() * 40)::int as orders_to_take \gset

begin;
create table incoming (customer int, product int, pieces int);
insert into incoming
  select case when random() < 0.98 then 1 + (random() * 400)::int else 1 + (random() * 19999)::int end,
         1 + (random() * random() * 1999)::int, 1 + (random() * 4)::int
  from generate_series(1, :orders_to_take);
insert into orders select 60000 + row_number() over (), customer, date '2024-02-08' from incoming;
insert into line select 60000 + row_number() over (), product, pieces from incoming;
update product set stock = stock - 1 where id in (select product from incoming);
commit;

-- Customers who call: mostly the known ones, a few others.
create temp table caller as
  select n * 7 as id from generate_series(1, 40) n union select 1 + (random() * 19999)::int from generate_series(1, 3);
select c.name, r.name, count(o.id), max(o.placed)
  from caller join customer c using (id) join region r on r.id = c.region left join orders o on o.customer = c.id
  group by c.id, r.name order by random();

select * from archive where id = any (array(select 1 + (random() * 199999)::int from generate_series(1, 6)));

-- The reports of the day.
select r.name, count(*), sum(p.cents * l.pieces)
  from line l join orders o on o.id = l.orders join customer c on c.id = o.customer
       join region r on r.id = c.region join product p on p.id = l.product
  where o.placed >= date '2023-09-01' group by r.name order by 3 desc;
select date_trunc('month', placed), count(*) from orders group by 1 order by 1;
select p.id, p.name, sum(l.pieces) from line l join product p on p.id = l.product group by p.id order by 3 desc limit 25;
select id, cents from turnover where customer = 7 order by cents desc;
analyze incoming;
select relname, n_live_tup, pg_relation_size(relid) from pg_stat_user_tables order by 1;
