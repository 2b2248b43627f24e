-- CreateEnum
CREATE TYPE "network_kind" AS ENUM ('NAT', 'ISOLATED', 'OVERLAY');

-- CreateEnum
CREATE TYPE "network_state" AS ENUM ('READY', 'DELETING');

-- CreateEnum
CREATE TYPE "network_host_state" AS ENUM ('PENDING', 'READY', 'FAILED');

-- CreateEnum
CREATE TYPE "network_mode" AS ENUM ('LIBVIRT', 'USER');

-- CreateEnum
CREATE TYPE "nic_state" AS ENUM ('RESERVED', 'ACTIVE', 'DETACHING', 'RELEASING');

-- CreateEnum
CREATE TYPE "rule_direction" AS ENUM ('INGRESS', 'EGRESS');

-- CreateEnum
CREATE TYPE "rule_protocol" AS ENUM ('TCP', 'UDP', 'ICMP', 'ANY');

-- CreateTable
CREATE TABLE "network" (
    "id" UUID NOT NULL,
    "tenant_id" UUID,
    "name" TEXT NOT NULL,
    "kind" "network_kind" NOT NULL,
    "cidr" INET NOT NULL,
    "vni" INTEGER,
    "is_default" BOOLEAN NOT NULL DEFAULT false,
    "state" "network_state" NOT NULL DEFAULT 'READY',
    "operation_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "network_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "network_host" (
    "network_id" UUID NOT NULL,
    "host_id" UUID NOT NULL,
    "cidr" INET,
    "state" "network_host_state" NOT NULL DEFAULT 'PENDING',
    "problem" TEXT,
    "seen_at" TIMESTAMPTZ(3),

    CONSTRAINT "network_host_pkey" PRIMARY KEY ("network_id","host_id")
);

-- CreateTable
CREATE TABLE "host_networking" (
    "host_id" UUID NOT NULL,
    "mode" "network_mode" NOT NULL,
    "overlays" BOOLEAN NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "host_networking_pkey" PRIMARY KEY ("host_id")
);

-- CreateTable
CREATE TABLE "nic" (
    "id" UUID NOT NULL,
    "place" BIGSERIAL NOT NULL,
    "vm_id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "mac" TEXT NOT NULL,
    "address" INET,
    "state" "nic_state" NOT NULL DEFAULT 'RESERVED',
    "host_id" UUID NOT NULL,
    "migration_host_id" UUID,
    "seen_addresses" TEXT[],
    "seen_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "nic_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "freed_address" (
    "network_id" UUID NOT NULL,
    "address" INET NOT NULL,
    "freed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "freed_address_pkey" PRIMARY KEY ("network_id","address")
);

-- CreateTable
CREATE TABLE "security_group" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "security_group_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rule" (
    "group_id" UUID NOT NULL,
    "place" INTEGER NOT NULL,
    "direction" "rule_direction" NOT NULL,
    "protocol" "rule_protocol" NOT NULL,
    "port_from" INTEGER,
    "port_to" INTEGER,
    "cidr" INET,

    CONSTRAINT "rule_pkey" PRIMARY KEY ("group_id","place")
);

-- CreateTable
CREATE TABLE "nic_group" (
    "nic_id" UUID NOT NULL,
    "group_id" UUID NOT NULL,

    CONSTRAINT "nic_group_pkey" PRIMARY KEY ("nic_id","group_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "network_vni_key" ON "network"("vni");

-- CreateIndex
CREATE UNIQUE INDEX "network_tenant_id_name_key" ON "network"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "network_host_host_id_idx" ON "network_host"("host_id");

-- CreateIndex
CREATE UNIQUE INDEX "nic_mac_key" ON "nic"("mac");

-- CreateIndex
CREATE INDEX "nic_vm_id_idx" ON "nic"("vm_id");

-- CreateIndex
CREATE INDEX "nic_host_id_idx" ON "nic"("host_id");

-- CreateIndex
CREATE INDEX "nic_migration_host_id_idx" ON "nic"("migration_host_id");

-- CreateIndex
CREATE UNIQUE INDEX "nic_network_id_address_key" ON "nic"("network_id", "address");

-- CreateIndex
CREATE UNIQUE INDEX "security_group_tenant_id_name_key" ON "security_group"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "nic_group_group_id_idx" ON "nic_group"("group_id");

-- AddForeignKey
ALTER TABLE "network_host" ADD CONSTRAINT "network_host_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "network"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "nic" ADD CONSTRAINT "nic_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "network"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rule" ADD CONSTRAINT "rule_group_id_fkey" FOREIGN KEY ("group_id") REFERENCES "security_group"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "nic_group" ADD CONSTRAINT "nic_group_nic_id_fkey" FOREIGN KEY ("nic_id") REFERENCES "nic"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "nic_group" ADD CONSTRAINT "nic_group_group_id_fkey" FOREIGN KEY ("group_id") REFERENCES "security_group"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What no bug and no race may bring about.
CREATE UNIQUE INDEX "network_one_default" ON "network"("is_default") WHERE "is_default";
ALTER TABLE "network" ADD CONSTRAINT "network_overlay_has_vni" CHECK (("kind" = 'OVERLAY') = ("vni" IS NOT NULL) AND "vni" BETWEEN 1 AND 16777215);
ALTER TABLE "network" ADD CONSTRAINT "network_only_default_is_everyones" CHECK (("tenant_id" IS NULL) = "is_default");
ALTER TABLE "rule" ADD CONSTRAINT "rule_ports" CHECK (
  ("port_from" IS NULL) = ("port_to" IS NULL)
  AND ("port_from" IS NULL OR ("protocol" IN ('TCP', 'UDP') AND "port_from" BETWEEN 1 AND "port_to" AND "port_to" <= 65535)));
