-- CreateTable
CREATE TABLE "quota_warnings" (
    "tenant_id" UUID NOT NULL,
    "resource" TEXT NOT NULL,
    "warned_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "quota_warnings_pkey" PRIMARY KEY ("tenant_id","resource")
);

-- AddForeignKey
ALTER TABLE "quota_warnings" ADD CONSTRAINT "quota_warnings_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;
