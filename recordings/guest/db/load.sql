-- The data base as it stands when a copy of the guest starts.
select setseed(0.2);
create database shop;
\c shop
create table region (id int primary key, name text not null);
create table customer (id int primary key, region int not null references region, name text not null, since date not null);
create table product (id int primary key, name text not null, cents int not null, stock int not null);
create table orders (id int primary key, customer int not null references customer, placed date not null);
create table line (orders int not null references orders, product int not null references product, pieces int not null);
insert into region select n, 'region ' || n from generate_series(1, 16) n;
insert into customer
  select n, 1 + n % 16, md5(random()::text), date '2015-01-01' + (n % 3000) from generate_series(1, 20000) n;
insert into product
  select n, md5(random()::text) || repeat(' fine', 10), 100 + (random() * 9000)::int, 1000 from generate_series(1, 2000) n;
insert into orders
  select n, 1 + (random() * 19999)::int, date '2020-01-01' + n / 40 from generate_series(1, 60000) n;
insert into line
  select 1 + n / 3, 1 + (random() * random() * 1999)::int, 1 + (random() * 4)::int from generate_series(0, 179999) n;
-- Old invoices: no report reads them, now and then somebody asks for one.
create table archive (id int primary key, invoice text not null);
insert into archive select n, md5(n::text) || repeat(' paid', 10) from generate_series(1, 200000) n;
create index on orders (customer);
create index on line (orders);
create view turnover as
  select o.id, o.customer, o.placed, sum(l.pieces * p.cents) as cents
  from orders o join line l on l.orders = o.id join product p on p.id = l.product group by o.id;
vacuum (freeze, analyze);
checkpoint;
