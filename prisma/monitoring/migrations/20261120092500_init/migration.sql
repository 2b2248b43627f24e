-- CreateTable
CREATE TABLE "vm_sample" (
    "vm_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "tenant_id" UUID NOT NULL,
    "host_id" UUID NOT NULL,
    "cpu" DOUBLE PRECISION NOT NULL,
    "memory_used" BIGINT,
    "memory_total" BIGINT NOT NULL,
    "disk_read_bytes_per_second" DOUBLE PRECISION NOT NULL,
    "disk_write_bytes_per_second" DOUBLE PRECISION NOT NULL,
    "net_receive_bytes_per_second" DOUBLE PRECISION NOT NULL,
    "net_transmit_bytes_per_second" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "vm_sample_pkey" PRIMARY KEY ("vm_id","at")
);

-- CreateIndex
CREATE INDEX "vm_sample_at_idx" ON "vm_sample"("at");
